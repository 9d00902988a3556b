/** Writes `src/client/operations.ts`, the methods and paths of the HTTP API, from its routes. `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs'
import { format, type FormatConfig } from 'oxfmt'
import style from '../.oxfmtrc.json' with { type: 'json' }
import { ANY_ROUTES } from '../src/api/routes.ts'

const FILE = new URL('../src/client/operations.ts', import.meta.url)

const rows = ANY_ROUTES.map(({ id, method, path, query, body }) => {
  // A request with a body has a query only in rare cases, so the names of its query are part of the table.
  const inQuery = body ? Object.keys(query.shape) : []
  const row = [method, path, ...(inQuery.length > 0 ? [inQuery] : [])]
  return `  '${id}': ${JSON.stringify(row)},`
})
const { code: text } = await format(
  FILE.pathname,
  `// Written by scripts/client.ts; do not edit.
import type { Operation } from './operation.ts'

/** The method and path of each operation. If it has both a query and a body, the names of the query's fields follow. */
export const OPERATIONS = {
${rows.join('\n')}
} as const satisfies Readonly<Record<string, Operation>>
`,
  style as FormatConfig,
)
const known = readFileSync(FILE, { encoding: 'utf8', flag: 'a+' })
if (known !== text && process.argv.includes('--check')) {
  console.error('src/client/operations.ts differs from the routes of the API: run npm run client')
  process.exitCode = 1
} else if (known !== text) writeFileSync(FILE, text)
