import { readFileSync } from 'node:fs'

let known: string | undefined

/** Returns the version of this package. */
export function packageVersion(): string {
  const manifest = (): { version: string } =>
    JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  return (known ??= manifest().version)
}
