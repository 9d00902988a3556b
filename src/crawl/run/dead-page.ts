import type { DeadItem } from '../../job/items/item-kind.ts'
import type { DeadPage } from '../define/crawl-context.ts'
import { createPage } from '../page/create-page.ts'
import type { ItemPayload } from './item-payload.ts'
import { keptAnswer } from './kept-answer.ts'

/** Converts a dead item of a crawl to the page that the crawl's function `dead` receives. */
export function deadPage(item: DeadItem<ItemPayload>): DeadPage {
  const { request, data } = item.data
  const kept = keptAnswer(item.kept)
  const { id, kind, attempt, tries, depth, priority, parent, class: name, error } = item
  return {
    ...{ id, step: kind, url: request.url, attempt, tries, depth, priority, parent, class: name, error, request, data },
    page: kept && createPage(request, kept.answer, attempt),
  }
}
