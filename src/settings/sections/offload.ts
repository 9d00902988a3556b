import { availableParallelism } from 'node:os'
import type { OffloadOptions } from '../../offload/pool/pool-options.ts'
import { readPoolText } from '../../offload/pool/pool-text.ts'
import { integer, list } from '../setting-types.ts'

/** The threads for long computations. */
export const offload = {
  /** The number of threads, at least 1. The value `0` of the file is already replaced. */
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
  /** The options of each named pool. */
  pools: {
    ...list({
      key: 'pools',
      default: [],
      help: 'Options of named pools, which override those in code, such as "parsers size=8 memory=512MB timeout=5m".',
    }),
    complaint: (value: unknown) => {
      if (!Array.isArray(value)) return 'expected an array of strings'
      const problems = value.flatMap((text: unknown) => {
        const read = readPoolText(String(text))
        return 'problem' in read ? [read.problem] : []
      })
      return problems[0]
    },
    parse: (texts: readonly string[]): Readonly<Record<string, OffloadOptions>> =>
      Object.fromEntries(
        texts.flatMap((text) => {
          const read = readPoolText(text)
          return 'problem' in read ? [] : [[read.name, read.options]]
        }),
      ),
  },
}
