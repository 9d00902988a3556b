import { z } from 'zod'
import type { JobContext } from '../../src/job/context.ts'
import { job } from '../../src/job/decorator.ts'
import { jobSpec } from '../../src/job/define-job.ts'
import type { ContextOf } from '../../src/job/spec.ts'
import { OrdersSink, Token, Warehouse, type Connection } from './support.ts'

// Checked in both decorator modes: see decorator.test.ts. Nothing here is run.

const spec = jobSpec({
  id: 'sync',
  every: '1h',
  windows: { start: '2026-01-01T00:00:00Z' },
  config: z.object({ shop: z.string() }),
  resources: { db: Warehouse },
  sinks: { orders: OrdersSink },
})

export class Accepted {
  readonly greeting: string = 'hello'

  @job(spec)
  async sync(ctx: ContextOf<typeof spec>) {
    await ctx.resources.db.query(`${ctx.config.shop} ${ctx.window.start.toISOString()} ${this.greeting}`)
  }

  @job({ id: 'ping', every: '10s' })
  async ping(ctx: JobContext) {
    ctx.log.info('pong')
  }

  @job({ id: 'second_argument', resources: { db: Warehouse, token: Token } })
  async secondArgument(_ctx: JobContext, { db, token }: { readonly db: Connection; readonly token: string }) {
    await db.query(token)
  }

  @job({ id: 'no_argument', cron: '0 * * * *', timezone: 'Europe/Berlin' })
  async noArgument() {}

  @job({ id: 'not_async' })
  notAsync(ctx: JobContext): number {
    return ctx.attempt
  }

  @job(spec)
  async onlySomeOfIt(ctx: { readonly config: { readonly shop: string } }) {
    return ctx.config.shop
  }

  @job(spec)
  static async still(ctx: ContextOf<typeof spec>) {
    await ctx.resources.db.query('select 1')
  }

  @job({ id: 'twice_eu', every: '1h' })
  @job({ id: 'twice_us', every: '2h' })
  protected async twice(ctx: JobContext) {
    ctx.log.info(ctx.jobId)
  }
}

export class Refused {
  @job(spec)
  async undeclared(ctx: ContextOf<typeof spec>) {
    // @ts-expect-error no such resource
    void ctx.resources.nope
    // @ts-expect-error the schema has no such field
    void ctx.config.region
    // @ts-expect-error no such sink
    void ctx.sinks.prices
  }

  // @ts-expect-error the spec declares no resource db
  @job({ id: 'a', resources: { token: Token } })
  async asksForResource(ctx: JobContext<{ db: typeof Warehouse }>) {
    return ctx.resources.db
  }

  // @ts-expect-error the spec declares no resource db
  @job({ id: 'a', resources: { token: Token } })
  async asksForResourceInSecond(_ctx: JobContext, { db }: { db: Connection }) {
    return db
  }

  // @ts-expect-error another spec's context
  @job({ id: 'a', every: '1h' })
  async anotherSpec(ctx: ContextOf<typeof spec>) {
    return ctx.config.shop
  }

  // @ts-expect-error the schema has no field region
  @job(spec)
  async asksForConfig(ctx: { readonly config: { readonly region: string } }) {
    return ctx.config.region
  }

  // @ts-expect-error no windows, so no window
  @job({ id: 'a', every: '1h' })
  async asksForWindow(ctx: { readonly window: { readonly start: Date } }) {
    return ctx.window.start
  }

  // @ts-expect-error a context is passed, no text
  @job({ id: 'a' })
  async text(name: string) {
    return name
  }

  // @ts-expect-error two arguments are passed, not three
  @job({ id: 'a' })
  async three(_ctx: JobContext, _resources: object, third: number) {
    return third
  }

  // @ts-expect-error another spec's context, on a static method
  @job({ id: 'a', every: '1h' })
  static async still(ctx: ContextOf<typeof spec>) {
    return ctx.config.shop
  }

  // @ts-expect-error a field is no method
  @job({ id: 'a' })
  field = async (): Promise<void> => undefined

  // @ts-expect-error a getter is no method
  @job({ id: 'a' })
  get getter(): number {
    return 1
  }

  // @ts-expect-error no such option
  @job({ id: 'a', corn: '* * * * *' })
  async mistyped() {}
}

// @ts-expect-error a class is no method
@job({ id: 'a' })
export class OnClass {}
