/** What happens to a tick while earlier runs of the job are queued or running; `JobSpec.overlap` describes each for users. */
export type Overlap = 'allow' | 'skip' | 'bufferOne' | 'bufferAll' | 'cancelOther'

/** How one policy affects planning and admission. */
interface OverlapRule {
  /** While this many runs of the job are queued or running, a tick is skipped. */
  readonly maxActive: number
  /** Whether the decision needs the number of active runs at the tick. Then it can't be made in advance. */
  readonly isDecidedAtTick: boolean
  /** Whether a run waits until the previous one has ended. */
  readonly isOneByOne: boolean
  /** Whether a tick cancels the earlier runs and skips earlier ticks. */
  readonly cancels: boolean
}

const rule = (given: Partial<OverlapRule>): OverlapRule => ({
  ...{ maxActive: Infinity, isDecidedAtTick: false, isOneByOne: false, cancels: false },
  ...given,
})

/** All overlap policies. To add one, add a line here and in {@link Overlap}. */
export const OVERLAPS: Readonly<Record<Overlap, OverlapRule>> = {
  allow: rule({}),
  skip: rule({ maxActive: 1, isDecidedAtTick: true }),
  bufferOne: rule({ maxActive: 2, isDecidedAtTick: true, isOneByOne: true }),
  bufferAll: rule({ isOneByOne: true }),
  cancelOther: rule({ isOneByOne: true, cancels: true }),
}
