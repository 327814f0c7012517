//! What a hub's message log says, read back.

use std::collections::HashMap;

use hub_messagelog::MessageLog;
use schemas::record::{Kind, Record, Side};

/// All records of a log, in its order; those of answers with what they leave to their requests'.
///
/// # Panics
/// When a record cannot be read.
#[must_use]
#[allow(clippy::expect_used, reason = "a log that cannot be read ends the test")]
pub fn recorded(log: &MessageLog) -> Vec<Record> {
    let mut requests: HashMap<(Option<String>, bool), Record> = HashMap::new();
    let read = |index| {
        let leaf = log.read(index).expect("the log is readable").leaf;
        Record::from_leaf(&leaf).expect("a leaf is a record")
    };
    let complete = |record: Record| {
        // A hub may stand on both sides of an exchange.
        let exchange = (record.exchange.clone(), record.side == Side::Consumer);
        match record.kind {
            Kind::Request => drop(requests.insert(exchange, record.clone())),
            Kind::Answer => {
                let request = requests.get(&exchange).expect("a request before its answer");
                return record.completed_by(request).expect("the request of this answer");
            }
            Kind::Refusal | Kind::Act => {}
        }
        record
    };
    (0..log.size()).map(read).map(complete).collect()
}
