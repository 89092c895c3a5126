"""Taking an environment away: what Terraform does not know of, then Terraform's, and a look at what is left."""
