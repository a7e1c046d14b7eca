lint-imports
