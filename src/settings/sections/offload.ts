import { availableParallelism } from 'node:os'
import { integer } from '../setting-types.ts'

/** The threads for long computation. */
export const offload = {
  /** At least 1: the `0` of the file is already resolved. */
  threads: {
    ...integer({
      key: 'threads',
      default: 0,
      min: 0,
      max: 1_024,
      help: 'Worker threads for offloaded calls; 0: one less than the number of CPUs, at least 1.',
    }),
    parse: (threads: number) => (threads === 0 ? Math.max(1, availableParallelism() - 1) : threads),
  },
}
