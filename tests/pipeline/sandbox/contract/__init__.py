"""The contract with Outreach: what is asked and answered fits what is known of it."""
