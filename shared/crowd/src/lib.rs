//! A crowd platform of our own: the Toloka requester API, a worker API and page, simulated workers.
