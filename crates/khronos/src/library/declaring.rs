//! Short forms for declarations.

use crate::declare::{Field, Function, Parameter, Type};

pub(super) const fn function(
    name: &'static str,
    parameters: &'static [Parameter],
    returns: &'static str,
    doc: &'static str,
) -> Function {
    Function { name, doc, parameters, returns }
}

pub(super) const fn parameter(name: &'static str, ty: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, ty, doc }
}

pub(super) const fn field(name: &'static str, ty: &'static str, doc: &'static str) -> Field {
    Field { name, ty, doc }
}

/// A type of objects.
pub(super) const fn object(
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
    methods: &'static [Function],
    operators: &'static [Function],
) -> Type {
    Type { name, doc, is_object: true, fields, methods, operators }
}

/// A type of plain tables. Its functions are fields.
pub(super) const fn table(name: &'static str, doc: &'static str, fields: &'static [Field]) -> Type {
    Type { name, doc, is_object: false, fields, methods: &[], operators: &[] }
}
