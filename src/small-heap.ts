import { setFlagsFromString } from 'node:v8'

// When many rows are streamed, garbage lives long enough for V8 to copy it once or twice. So V8 enlarges its young generation to over 100
// MB. The copied garbage then stays in the old generation until that generation has grown to several times its size. Unlike
// `--max-semi-space-size`, these two flags work at run time: the young generation keeps its current size, and the old one is collected when
// it has grown by the percentage.
const FLAGS = ['--semi-space-growth-factor=1', '--heap-growing-percent=30']

/** Makes V8 keep the heap of the whole process small. This can't be undone. Worker threads that start afterwards do the same. */
export function keepHeapSmall(): void {
  for (const flag of FLAGS) setFlagsFromString(flag)
}
