//! What goes wrong between a service and Discord, on demand: the next requests to a route meet it.

use std::time::Duration;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// An answer with this status and no body worth reading: 500, 502, 503. Nothing is done.
    Status(u16),
    /// An error of Discord's: status, code and text. Nothing is done.
    Error(u16, u32, &'static str),
    /// The request is served, so much later.
    Slow(Duration),
    /// The connection closes before the request is served.
    Closed,
    /// The request is served, and the connection closes before the answer.
    Lost,
    /// The request is served, and the connection closes in the middle of the answer.
    Truncated,
    /// The answer is no JSON, although it says so. Nothing is done.
    Garbage,
    /// The answer is JSON of so many bytes. Nothing is done.
    Huge(usize),
    /// The bot's global limit is reached, for so long.
    GlobalLimit(Duration),
    /// A limit that many bots share is reached, for so long. It doesn't count as an invalid request.
    SharedLimit(Duration),
}

#[derive(Debug)]
struct Due {
    method: String,
    path: String,
    times: usize,
    fault: Fault,
}

/// The faults that wait for their requests.
#[derive(Debug, Default)]
pub(super) struct Faults {
    due: Vec<Due>,
}

impl Faults {
    /// The next `times` requests to the route meet `fault`. `*` as method or path is any.
    pub(super) fn add(&mut self, method: &str, path: &str, times: usize, fault: Fault) {
        self.due.push(Due { method: method.to_owned(), path: path.to_owned(), times, fault });
    }

    /// The fault that a request to this route meets.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let fits = |wanted: &str, is: &str| wanted == "*" || wanted == is;
        let found = self.due.iter().position(|due| fits(&due.method, method) && fits(&due.path, path))?;
        let due = &mut self.due[found];
        due.times -= 1;
        let fault = due.fault.clone();
        if due.times == 0 {
            self.due.remove(found);
        }
        Some(fault)
    }

    /// How many faults still wait.
    pub(super) fn left(&self) -> usize {
        self.due.iter().map(|due| due.times).sum()
    }
}
