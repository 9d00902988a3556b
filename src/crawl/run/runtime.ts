import type { CrawlPlan, StepPlan } from './crawl-plan.ts'
import type { ItemPayload } from './item-payload.ts'
import type { CrawlItemContext } from './page-context.ts'
import { PageRun } from './page-run.ts'

export { deadPage } from './dead-page.ts'
export { trialOf } from './page-trial.ts'
export { seed } from './seeding.ts'

/** Runs one try of a crawl's item. */
export async function runPage(plan: CrawlPlan, step: StepPlan, ctx: CrawlItemContext): Promise<void> {
  const fetcher = await plan.fetcher()
  await new PageRun(plan, step, ctx, ctx.item.data as ItemPayload, fetcher).run()
}
