//! Points in time, spans of it, and time zones, as objects of a VM.

use mlua::{MetaMethod, UserData, UserDataFields};

use crate::value::time::{Interval, TimeZone, Timestamp};

impl UserData for Timestamp {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type.name(), "DateTime");
    }
}

impl UserData for Interval {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type.name(), "TimeDelta");
    }
}

impl UserData for TimeZone {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type.name(), "Timezone");
    }
}
