import { setFlagsFromString } from 'node:v8'

// The garbage of a stream of rows lives long enough to be copied once or twice, so V8 enlarges its young generation to over 100 MB.
// Promoted garbage stays in the old generation until that has grown several times over. These two flags work at run time, unlike
// `--max-semi-space-size`: the young generation keeps its current size, and the old one is collected once it has grown by the percentage.
const FLAGS = ['--semi-space-growth-factor=1', '--heap-growing-percent=30']

/** Makes V8 keep the heap of the whole process small. Can't be undone. Worker threads that begin afterwards do the same. */
export function keepHeapSmall(): void {
  for (const flag of FLAGS) setFlagsFromString(flag)
}
