// C0 without tab and newline, DEL, C1, marks that turn the direction of text, line and paragraph separators, the byte order mark.
const HIDDEN_CHARACTERS = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/g

/**
 * Text that a job, a config or a database has brought, as it may be shown to a person: what would move the cursor, colour the terminal
 * or turn the direction of text is written as an escape, such as `\u001b`. Newlines and tabs stay.
 */
export function visible(text: string): string {
  return text.replace(HIDDEN_CHARACTERS, escaped)
}

/** The same on one line: a newline is written as `\n`. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n')
}

/** The same with further lines indented, so that none of them looks like a line of its own. */
export function visibleBlock(text: string, indent = '    '): string {
  return visible(text).replaceAll('\n', `\n${indent}`)
}

/** One line of JSON; what a terminal would obey is escaped, which any reader of JSON takes back. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value).replace(HIDDEN_CHARACTERS, unicode)
}

function escaped(character: string): string {
  return character === '\r' ? '\\r' : unicode(character)
}

function unicode(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
