"""MariaDB behind the guest contract; the same code serves the datastore names mysql and mariadb."""
