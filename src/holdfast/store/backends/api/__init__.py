"""A store on Drive by its documented API: what is asked, what is answered, and what every refusal means."""
