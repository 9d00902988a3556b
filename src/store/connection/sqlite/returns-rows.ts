/**
 * Whether a statement returns rows, judged by its text, because Node before 22.16 has no `StatementSync.columns()`. Searches for
 * `RETURNING` and for the first keyword outside of parentheses; after `WITH`, this is the keyword after the common table expressions.
 */
export function returnsRows(text: string): boolean {
  const bare = text.replace(/--[^\n]*|\/\*[^]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`/g, ' ')
  let depth = 0
  let verb: string | undefined
  for (const [token] of bare.matchAll(/[()]|[a-z_]\w*/gi)) {
    const word = token.toLowerCase()
    if (word === '(') depth++
    else if (word === ')') depth--
    else if (depth === 0 && word === 'returning') return true
    else if (depth === 0 && verb === undefined && VERBS.has(word)) verb = word
  }
  return verb !== undefined && READING.has(verb)
}

const READING = new Set(['select', 'values', 'pragma', 'explain'])
const VERBS = new Set([
  ...READING,
  ...['insert', 'replace', 'update', 'delete', 'create', 'drop', 'alter', 'begin', 'commit', 'rollback', 'savepoint'],
])
