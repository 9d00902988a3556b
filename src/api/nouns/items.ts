import { z } from 'zod'
import { ITEM_STATES } from '../../item/item.ts'
import { ofRun, route, type RoutedRequest } from '../route.ts'
import { count, id, json, name, pageOf, page } from '../values.ts'
import {
  ITEM_EXAMPLE,
  item,
  itemsStatus,
  LANE_EXAMPLE,
  lane,
  laneParams,
  laneQuery,
  lanesPaused,
  replayBody,
  STATUS_EXAMPLE,
} from './item-values.ts'

const params = z.strictObject({ runId: id })
const P = { runId: 17 }
const EXAMPLE = { ...ITEM_EXAMPLE, kind: 'page', key: 'orders/1', lane: 'shop-1' }
const scope = z.strictObject({ scope: name.optional().meta({ description: 'A job, or a scope that jobs share.' }) })

export const ITEMS = [
  route({
    id: 'items.status',
    method: 'GET',
    path: '/runs/{runId}/items/status',
    role: 'viewer',
    summary: "Shows the counts, speed and lanes of a run's items.",
    ...{ params, job: ofRun, answer: itemsStatus, example: { params: P, answer: STATUS_EXAMPLE } },
  }),
  route({
    id: 'items.list',
    method: 'GET',
    path: '/runs/{runId}/items',
    role: 'viewer',
    summary: 'Lists items of a run, by id.',
    ...{ params, job: ofRun },
    query: z.strictObject({
      state: z.enum(ITEM_STATES).optional(),
      kind: name.optional(),
      lane: name.optional(),
      ...page,
    }),
    answer: pageOf(item),
    example: { params: P, query: { state: 'dead' }, answer: { items: [EXAMPLE] } },
  }),
  route({
    id: 'items.show',
    method: 'GET',
    path: '/items/{itemId}',
    role: 'viewer',
    summary: 'Shows one item with its data.',
    params: z.strictObject({ itemId: id }),
    job: ({ params: { itemId } }: RoutedRequest) => ({ item: Number(itemId) }),
    answer: item.extend({ data: json.optional() }),
    example: { params: { itemId: 9 }, answer: { ...EXAMPLE, data: { page: 1 } } },
  }),
  route({
    id: 'items.replay',
    method: 'POST',
    path: '/runs/{runId}/items/replay',
    role: 'operator',
    summary: 'Queues dead, skipped or cancelled items of a run again.',
    ...{ params, job: ofRun },
    body: z.strictObject({ ...replayBody, kind: name.optional(), lane: name.optional() }),
    answer: z.object({ items: count }),
    example: { params: P, body: { state: 'dead', reason: 'the shop is up again' }, answer: { items: 1 } },
  }),
  route({
    id: 'items.lanes',
    method: 'GET',
    path: '/lanes',
    role: 'viewer',
    summary: 'Lists the lanes of items, with their limits and breakers, by id.',
    query: z.strictObject({ scope: name.optional(), ...laneQuery }),
    answer: pageOf(lane),
    example: { query: { runId: 17 }, answer: { items: [LANE_EXAMPLE] } },
  }),
  route({
    id: 'items.pause',
    method: 'POST',
    path: '/lanes/{lane}/pause',
    role: 'operator',
    summary: 'Pauses a lane: no node begins an item of it.',
    ...{ params: laneParams, body: scope, answer: lanesPaused },
    example: { params: { lane: 'shop-1' }, body: { reason: 'the shop asks us to wait' }, answer: { lanes: 1 } },
  }),
  route({
    id: 'items.resume',
    method: 'POST',
    path: '/lanes/{lane}/resume',
    role: 'operator',
    summary: 'Resumes a paused lane.',
    ...{ params: laneParams, body: scope, answer: lanesPaused },
    example: { params: { lane: 'shop-1' }, body: {}, answer: { lanes: 1 } },
  }),
] as const
