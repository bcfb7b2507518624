//! How what scripts can reach is described: the one source of type files and reference pages.
//!
//! Owns the shapes. A description stands beside the code that it describes, and whoever puts a function into a VM takes its
//! name from there, so that nothing can be reached that is not described.

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it does, in Markdown; the first sentence stands alone.
    pub doc: &'static str,
    /// What it takes, in order; `self` left out.
    pub parameters: &'static [Parameter],
    /// What it returns, as Luau writes types: `(any, boolean)`, `()` for nothing.
    pub returns: &'static str,
}

/// A parameter of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type, as Luau writes it; with a `?` at its end it can be left out.
    pub ty: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// A field of a table or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type, as Luau writes it.
    pub ty: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// A type: what `typeof` says is its name where it is an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Whether it is an object of the host; otherwise it is a plain table.
    pub is_object: bool,
    /// Its fields.
    pub fields: &'static [Field],
    /// Its methods, called with a colon.
    pub methods: &'static [Function],
    /// Its operators as metamethods: `__add`, `__eq`, .. with the types that they take and give.
    pub operators: &'static [Function],
}

/// What a `require` of `path` gives: a read-only table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// What scripts require: `@antiraid/datetime`.
    pub path: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its values that are no functions.
    pub fields: &'static [Field],
    /// Its functions.
    pub functions: &'static [Function],
    /// The types of what it gives and takes.
    pub types: &'static [Type],
}

/// A function.
pub const fn function(
    name: &'static str,
    parameters: &'static [Parameter],
    returns: &'static str,
    doc: &'static str,
) -> Function {
    Function { name, doc, parameters, returns }
}

/// A parameter.
pub const fn parameter(name: &'static str, ty: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, ty, doc }
}

/// A field.
pub const fn field(name: &'static str, ty: &'static str, doc: &'static str) -> Field {
    Field { name, ty, doc }
}

/// A type of objects.
pub const fn object(
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
    methods: &'static [Function],
    operators: &'static [Function],
) -> Type {
    Type { name, doc, is_object: true, fields, methods, operators }
}

/// A type of plain tables. Its functions are fields.
pub const fn table(name: &'static str, doc: &'static str, fields: &'static [Field]) -> Type {
    Type { name, doc, is_object: false, fields, methods: &[], operators: &[] }
}
