import { distance } from 'fastest-levenshtein'
import { envName, SETTINGS } from './sections.ts'

const KEY_NAMES = [...SETTINGS.keys()]
const ENV_NAMES = KEY_NAMES.map(envName)
const ELSEWHERE = 'docs/settings.md lists all'

/** Returns the message for a key that does not exist. */
export function unknownKey(name: string): string {
  const found = nearest(name, KEY_NAMES, (key) => key.slice(key.indexOf('.') + 1))
  return found === undefined ? `no such key; ${ELSEWHERE}` : `no such key; did you mean ${found}?`
}

/** Returns the message for a `PIKO_…` variable that does not exist. */
export function unknownVariable(name: string): string {
  const found = nearest(name, ENV_NAMES, (variable) => variable.replace(/^PIKO_(?:.*__)?/, ''))
  return found === undefined ? `no such variable; ${ELSEWHERE}` : `no such variable; did you mean ${found}?`
}

/**
 * Returns the known name that is closest to `name`. Also compares only the last parts, because the section may be wrong. A name is
 * close enough if it takes at most two edits, or at most half as many edits as the last part has characters. Undefined if none is.
 */
function nearest(name: string, known: readonly string[], lastPart: (name: string) => string): string | undefined {
  const last = lastPart(name)
  const ranked = known
    .map((candidate) => ({
      candidate,
      edits: Math.min(
        distance(name, candidate),
        // The right key in a wrong section counts as one typing mistake.
        distance(last, lastPart(candidate)) + 1,
        // Old settings files have keys without sections, such as `mysql_dsn` in [default].
        distance(last, candidate) + 1,
      ),
    }))
    .sort((a, b) => a.edits - b.edits)
  const best = ranked[0]
  return best !== undefined && best.edits <= Math.max(2, last.length / 2) ? best.candidate : undefined
}
