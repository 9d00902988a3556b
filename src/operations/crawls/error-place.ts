import { fileURLToPath } from 'node:url'
import { chainOf, propertyOf } from '../../errors-read.ts'

/** Matches a frame of a stack: `at step (file:///app/shop.ts:12:5)` or `at /app/shop.ts:12:5`. */
const FRAME = /^\s*at (?:async )?(?:.*\()?((?:file:\/\/)?\/?[^()]+:\d+:\d+)\)?$/
/** The folder of Piko's own files. */
const OWN = new URL('../..', import.meta.url).href

/** Finds where the user's code threw an error: the first frame outside of Piko, packages and Node; undefined if there is none. */
export function placeOf(error: unknown): string | undefined {
  // The innermost cause was thrown first, so the search begins with it.
  for (const link of chainOf(error).toReversed()) {
    const stack = propertyOf(link, 'stack')
    if (typeof stack !== 'string') continue
    for (const line of stack.split('\n')) {
      const place = FRAME.exec(line)?.[1]
      if (place !== undefined && isUsers(place)) return place.startsWith('file://') ? readable(place) : place
    }
  }
  return undefined
}

function isUsers(place: string): boolean {
  if (place.startsWith('node:') || place.includes('/node_modules/')) return false
  const url = place.startsWith('file://') ? place : `file://${place}`
  return !url.startsWith(OWN) && place.includes('/')
}

function readable(place: string): string {
  const [, url = '', position = ''] = /^(.*?)(:\d+:\d+)$/.exec(place) ?? []
  try {
    return `${fileURLToPath(url)}${position}`
  } catch {
    return place
  }
}
