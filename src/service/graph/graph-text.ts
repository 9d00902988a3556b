/** Escapes a string for Graphviz, because Graphviz interprets `\` escapes and HTML entities inside a quoted label. */
export function dotText(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('&', '&amp;')
    .replaceAll('"', '\\"')
    .replaceAll(/\r\n|\r|\n/g, '\\n')
    .replaceAll(CONTROL, ' ')
}

/**
 * Escapes a string for Mermaid, which has entities with `#`. Everything that could be HTML, Markdown or the end of the label becomes an
 * entity.
 */
export function mermaidText(text: string): string {
  return text
    .replaceAll(/[^\p{L}\p{N}\s.,:;+/-]/gu, (character) => `#${character.codePointAt(0)};`)
    .replaceAll(/\r\n|\r|\n/g, '<br/>')
    .replaceAll(CONTROL, ' ')
}

/** Matches control characters, including the marks that change the direction of text. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g
