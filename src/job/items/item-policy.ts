import type { ItemBudget } from '../../item/budget.ts'
import type { LaneLimits } from '../../item/lane.ts'
import type { AnyItemKind } from './item-kind.ts'

/** The items of a job, with all defaults filled in and all strings parsed. */
export interface ItemPolicy {
  readonly kinds: ReadonlyMap<string, KindPolicy>
  /** How many items of a run may be dead: a number, or a share from 0 to 1. */
  readonly tolerated: { readonly count: number } | { readonly share: number }
  readonly maxItems: number | undefined
  readonly maxDepth: number | undefined
}

export interface LanePolicy extends LaneLimits {
  /** Whether the lane's rate is lowered when the lane responds slowly. */
  readonly throttle: boolean
}

export interface KindPolicy {
  readonly name: string
  readonly kind: AnyItemKind
  readonly laneScope: string
  readonly lanes: ReadonlyMap<string, LanePolicy>
  readonly budgets: ReadonlyMap<string, ItemBudget>
  readonly priority: number
  readonly timeoutMs: number | undefined
  readonly dedup: Dedup
}

/** The parsed form of `DedupScope`. */
export type Dedup = 'run' | 'job' | 'none' | { readonly withinMs: number }

/** Returns the limits of a lane by its name. */
export function limitsOf({ lanes }: KindPolicy, lane: string): LanePolicy {
  return lanes.get(lane) ?? lanes.get('*') ?? NO_LIMITS
}

const NO_LIMITS: LanePolicy = { rate: undefined, parallel: undefined, throttle: false }

/** Whether too many items are dead for the run to succeed. */
export function isTooManyDead({ tolerated }: ItemPolicy, dead: number, total: number): boolean {
  return dead > ('count' in tolerated ? tolerated.count : Math.floor(tolerated.share * total))
}
