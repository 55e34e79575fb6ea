//! What every implementation of the ports has to do, as tests to run against one.
