// The control characters C0 (without tab and newline), DEL and C1, characters that change the text direction, line and paragraph
// separators, and the byte order mark.
const HIDDEN_CHARACTERS = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/g

/**
 * Makes text from a job, a config or a database safe to show. Characters that move the cursor, colour the terminal or change the text
 * direction become escapes, such as `\u001b`. Newlines and tabs are kept.
 */
export function visible(text: string): string {
  return text.replace(HIDDEN_CHARACTERS, escaped)
}

/** Like {@link visible}, on one line: a newline becomes `\n`. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n')
}

/** Like {@link visible}, but indents all lines except the first, so that a reader sees that they belong together. */
export function visibleBlock(text: string, indent = '    '): string {
  return visible(text).replaceAll('\n', `\n${indent}`)
}

/** Formats a value as one line of JSON. Characters that a terminal would interpret become escapes, which any JSON parser can read. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value).replace(HIDDEN_CHARACTERS, unicode)
}

function escaped(character: string): string {
  return character === '\r' ? '\\r' : unicode(character)
}

function unicode(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
