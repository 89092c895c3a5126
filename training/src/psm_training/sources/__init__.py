"""Where till transactions come from; every source ends in silver, the 22 columns of psm_contract.schema."""
