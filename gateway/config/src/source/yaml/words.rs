//! A YAML scanner's errors in the words of people who write configuration.

use granit_parser::ErrorKind;

/// A scanner's error in words for people who write configuration, and how to mend the common ones.
pub(super) fn plain_words(kind: &ErrorKind) -> (String, &'static str) {
    let (message, help) = match kind {
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => ("a tab cannot indent", "YAML indents with spaces"),
        ErrorKind::UnclosedQuotedScalar => ("this quoted text is never closed", ""),
        ErrorKind::UnexpectedEofFlowSequence => ("expected `]` before the end of the file", ""),
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("expected `}` before the end of the file", "")
        }
        ErrorKind::UnclosedFlowCollection { open: '[' } => ("this `[` is never closed", ""),
        ErrorKind::UnclosedFlowCollection { .. } => ("this `{` is never closed", ""),
        ErrorKind::MisplacedFlowCollectionEnd | ErrorKind::MismatchedFlowCollectionEnd { .. } => {
            ("this bracket closes nothing that is open here", "")
        }
        ErrorKind::ExpectedFlowSequenceSeparator => ("expected `,` or `]`", ""),
        ErrorKind::ExpectedFlowMappingSeparator => ("expected `,` or `}`", ""),
        ErrorKind::MappingValueNotAllowed => {
            ("a `:` cannot stand here", "put a text that holds `: ` into quotes; check the indentation of this line")
        }
        ErrorKind::MappingKeyNotAllowed | ErrorKind::ExpectedBlockMappingKey => {
            ("expected a key here", "check the indentation of this line and the one above")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("expected `:` after the key", "check the indentation of this line and the one above")
        }
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::BlockSequenceEntryNotAllowed => {
            ("expected a list item `- ` at this indentation", "check the indentation of this line and the one above")
        }
        ErrorKind::ExpectedDocumentStart => ("the document has ended above; nothing more can stand here", ""),
        ErrorKind::InvalidIndentation => ("the indentation fits nothing above", ""),
        ErrorKind::UnknownAnchor => {
            ("this alias refers to no anchor above it", "an anchor is written `&name` before the value")
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            ("unknown escape", "write `\\\\` for a backslash, or use single quotes")
        }
        ErrorKind::UnexpectedCharacter { .. } => ("this character cannot start a value", "put the text into quotes"),
        other => return (other.to_string(), ""),
    };
    (message.to_owned(), help)
}
