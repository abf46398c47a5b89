"""Step Functions: an interpreter of the deployed definitions, and the client in front of it."""

from simulator.aws.stepfunctions.client import StepFunctionsClient
from simulator.aws.stepfunctions.faults import DefinitionError
from simulator.aws.stepfunctions.service import StepFunctions

__all__ = ["DefinitionError", "StepFunctions", "StepFunctionsClient"]
