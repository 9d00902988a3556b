import type { ItemAdder, ItemData } from '../../job/items/adding.ts'
import type { NewItem } from '../request/ready-request.ts'
import { type ItemPayload, laneOfHost } from './item-payload.ts'

/**
 * Adds requests to the run, with one call for each step.
 *
 * @param root the host of the seed that led to the requests; undefined if they are seeds
 */
export async function addItems(
  adder: ItemAdder<ItemData>,
  items: readonly NewItem[],
  root: string | undefined,
): Promise<void> {
  for (const [step, group] of Map.groupBy(items, ({ request }) => request.step)) {
    const at = (index: number): NewItem => group[index] as NewItem
    await adder.add(
      step,
      group.map((item) => payloadOf(item, root)),
      {
        key: (_, index) => at(index).key,
        lane: (_, index) => laneOfHost(at(index).host),
        priority: (_, index) => at(index).priority,
        due: (_, index) => at(index).due,
        dedup: (_, index) => (at(index).isFiltered ? undefined : false),
      },
    )
  }
}

export function payloadOf({ request, host, data }: NewItem, root: string | undefined): ItemPayload {
  return { request, ...(data !== undefined && { data }), root: root ?? host }
}
