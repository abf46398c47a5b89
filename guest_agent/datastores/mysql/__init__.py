"""MySQL 8.4 and later behind the guest contract: what MariaDB's modules say, in MySQL's words."""
