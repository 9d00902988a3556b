/**
 * Whether a statement returns rows, judged by its text, since Node before 22.16 lacks `StatementSync.columns()`. Searches for `RETURNING`
 * and the first keyword outside parentheses; after `WITH`, the keyword that follows the common table expressions.
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
