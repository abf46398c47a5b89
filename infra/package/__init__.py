"""From sources to what CloudFormation takes: dependencies, two zips and one template."""
