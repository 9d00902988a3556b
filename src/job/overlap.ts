/** What happens to a tick while earlier runs of the job are queued or running; `JobSpec.overlap` describes each for users. */
export type Overlap = 'allow' | 'skip' | 'bufferOne' | 'bufferAll' | 'cancelOther'

/** What one policy means for planning and admission. */
interface OverlapRule {
  /** A tick is skipped while this many runs of its job are queued or running. */
  readonly maxActive: number
  /** The decision needs the number of runs that are active at the tick, so it can't be made ahead. */
  readonly isDecidedAtTick: boolean
  /** A run starts only after the previous one has ended. */
  readonly isOneByOne: boolean
  /** A tick cancels the earlier runs, and skips the ticks before it. */
  readonly cancels: boolean
}

const rule = (given: Partial<OverlapRule>): OverlapRule => ({
  ...{ maxActive: Infinity, isDecidedAtTick: false, isOneByOne: false, cancels: false },
  ...given,
})

/** All overlap policies. A new one is a line here and in {@link Overlap}. */
export const OVERLAPS: Readonly<Record<Overlap, OverlapRule>> = {
  allow: rule({}),
  skip: rule({ maxActive: 1, isDecidedAtTick: true }),
  bufferOne: rule({ maxActive: 2, isDecidedAtTick: true, isOneByOne: true }),
  bufferAll: rule({ isOneByOne: true }),
  cancelOther: rule({ isOneByOne: true, cancels: true }),
}
