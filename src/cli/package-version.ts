import { readFileSync } from 'node:fs'

/** The version of Piko. Its `package.json` is two levels up from both `src/cli` and `dist/cli`. */
export function packageVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
