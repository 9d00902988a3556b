import { loopTurn } from '../../loop-turn.ts'
import { chunksOf } from './chunks.ts'

/** How many strings are sorted or merged before the clock is read again. */
const SLICE = 2_000

/** Sorts many strings like `sort`, but in slices, and lets the event loop run in between. A few strings are sorted in one slice. */
export async function sortInTurns(texts: readonly string[]): Promise<string[]> {
  let parts: string[][] = []
  for (const part of chunksOf(texts, SLICE)) {
    if (loopTurn.isDue(false)) await loopTurn.next()
    parts.push(part.sort())
  }
  while (parts.length > 1) {
    const merged: string[][] = []
    for (let index = 0; index < parts.length; index += 2)
      merged.push(await mergeInTurns(parts[index] ?? [], parts[index + 1] ?? []))
    parts = merged
  }
  return parts[0] ?? []
}

async function mergeInTurns(one: readonly string[], other: readonly string[]): Promise<string[]> {
  const merged: string[] = []
  let [left, right] = [0, 0]
  while (left < one.length && right < other.length) {
    if (merged.length % SLICE === 0 && loopTurn.isDue(false)) await loopTurn.next()
    const [a, b] = [one[left] as string, other[right] as string]
    if (a <= b) {
      merged.push(a)
      left++
    } else {
      merged.push(b)
      right++
    }
  }
  return merged.concat(one.slice(left), other.slice(right))
}
