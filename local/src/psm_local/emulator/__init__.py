"""An emulator of the AWS services that the product talks to: moto's server with the model registry corrected.

Its behaviour is our model of AWS, not AWS. Every correction has a contract test that cites its source.
"""
