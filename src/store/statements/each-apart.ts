import { isFaultOfItem } from '../../sql/database-faults.ts'
import { halved } from './halved.ts'

/** A row that stays unchanged because the database refuses to change it. */
export interface Refused {
  readonly id: number
  readonly refusal: unknown
}

/** Changes rows together. If the database refuses some of them, leaves these out and changes the others. */
export async function eachApart<R>(
  ids: readonly number[],
  change: (ids: readonly number[]) => Promise<R>,
): Promise<{ readonly done: readonly R[]; readonly refused: readonly Refused[] }> {
  const refused: Refused[] = []
  const parts = await halved<number, R | undefined>(
    ids,
    change,
    (id, refusal) => void refused.push({ id, refusal }),
    isFaultOfItem,
  )
  return { done: parts.filter((part) => part !== undefined), refused }
}

/** Throws the refusal, for callers that do not handle rows one by one. */
export function throwRefusal({ refusal }: Refused): unknown {
  throw refusal
}
