import { z } from 'zod'
import { ITEM_STATES } from '../../item/item.ts'
import { route, type RoutedRequest } from '../route.ts'
import { count, givenMoment, json, name, page, pageOf } from '../values.ts'
import {
  crawlPage,
  ITEM_EXAMPLE,
  itemsStatus,
  LANE_EXAMPLE,
  lane,
  laneQuery,
  lanesPaused,
  replayBody,
  STATUS_EXAMPLE,
} from './item-values.ts'

/** A crawl is named by the id of its job, or by the number of one of its runs. */
const params = z.strictObject({
  crawl: name.meta({ description: 'The number of a run, or the id of a crawl, which stands for its newest run.' }),
})
const P = { crawl: 'shops' }
const job = ({ params: { crawl } }: RoutedRequest) =>
  /^\d+$/.test(String(crawl)) ? { run: Number(crawl) } : { job: String(crawl) }
const PAGE_EXAMPLE = { ...ITEM_EXAMPLE, step: 'product', request: 'GET https://shop.example/1', host: 'shop.example' }
const pages = { step: name.optional(), host: name.optional() }
const hostParams = z.strictObject({ host: name })

const pagesOfRun = pageOf(crawlPage).extend({ runId: count })

export const CRAWLS = [
  route({
    id: 'crawls.status',
    method: 'GET',
    path: '/crawls/{crawl}',
    role: 'viewer',
    summary: 'Shows the counts, speed, steps and hosts of a crawl.',
    ...{ params, job, answer: itemsStatus, example: { params: P, answer: STATUS_EXAMPLE } },
  }),
  route({
    id: 'crawls.items',
    method: 'GET',
    path: '/crawls/{crawl}/pages',
    role: 'viewer',
    summary: 'Lists the pages of a crawl, by id.',
    ...{ params, job },
    query: z.strictObject({ state: z.enum(ITEM_STATES).optional(), ...pages, ...page }),
    answer: pagesOfRun,
    example: {
      params: P,
      query: { state: 'done' },
      answer: { runId: 17, items: [{ ...PAGE_EXAMPLE, state: 'done' }] },
    },
  }),
  route({
    id: 'crawls.dead',
    method: 'GET',
    path: '/crawls/{crawl}/dead',
    role: 'viewer',
    summary: 'Lists the dead pages of a crawl with their errors, by id.',
    ...{ params, job },
    query: z.strictObject({ ...pages, ...page }),
    answer: pagesOfRun,
    example: { params: P, query: { host: 'shop.example' }, answer: { runId: 17, items: [PAGE_EXAMPLE] } },
  }),
  route({
    id: 'crawls.replay',
    method: 'POST',
    path: '/crawls/{crawl}/replay',
    role: 'operator',
    summary: 'Loads dead pages again, or parses their kept responses.',
    ...{ params, job },
    body: z.strictObject({ ...replayBody, ...pages }),
    answer: z.object({
      pages: count,
      runs: z.array(count),
      refused: z.array(z.object({ runId: count, reason: z.string() })),
    }),
    example: { params: P, body: { step: 'product' }, answer: { pages: 1, runs: [17], refused: [] } },
  }),
  route({
    id: 'crawls.try',
    method: 'POST',
    path: '/crawls/{crawl}/try',
    role: 'operator',
    summary: 'Loads one page and runs its step, and stores nothing.',
    isRead: true,
    timeoutMs: 70_000,
    ...{ params, job },
    body: z.strictObject({
      url: z.url({ protocol: /^https?$/ }).max(2_000),
      step: name.optional(),
      config: z.record(z.string(), json).optional(),
      window: givenMoment.optional(),
    }),
    answer: z.object({ crawl: z.string(), step: z.string(), request: z.string(), outcome: z.string() }).loose(),
    example: {
      params: P,
      body: { url: 'https://shop.example/1' },
      answer: { crawl: 'shops', step: 'product', request: 'GET https://shop.example/1', outcome: 'done' },
    },
  }),
  route({
    id: 'crawls.lanes',
    method: 'GET',
    path: '/hosts',
    role: 'viewer',
    summary: 'Lists the hosts of crawls with their speed, limits and breakers, by id.',
    query: z.strictObject(laneQuery),
    answer: pageOf(lane),
    example: { query: { limit: 10 }, answer: { items: [{ ...LANE_EXAMPLE, name: 'shop.example' }] } },
  }),
  route({
    id: 'crawls.pause',
    method: 'POST',
    path: '/hosts/{host}/pause',
    role: 'operator',
    summary: 'Pauses a host: no node loads a page from it.',
    ...{ params: hostParams, answer: lanesPaused },
    example: { params: { host: 'shop.example' }, body: { reason: 'they asked us' }, answer: { lanes: 1 } },
  }),
  route({
    id: 'crawls.resume',
    method: 'POST',
    path: '/hosts/{host}/resume',
    role: 'operator',
    summary: 'Resumes a paused host.',
    ...{
      params: hostParams,
      answer: lanesPaused,
      example: { params: { host: 'shop.example' }, body: {}, answer: { lanes: 1 } },
    },
  }),
] as const
