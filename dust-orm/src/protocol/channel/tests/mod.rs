mod golden;
mod property;
mod requests;
