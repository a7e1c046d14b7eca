"""What publishing and loading need of the Hub: addresses, versions, errors, trying again."""
