import { useEffect, useRef, useState } from 'preact/hooks'
import { paletteOf } from '../grid/cells.tsx'
import { durationText, instantText } from '../shared/format.ts'
import { go, query, setQuery } from '../shared/router.ts'
import { theme, zoneChoice } from '../shared/settings.ts'
import { useZone, useZoneOf } from '../shared/zones.tsx'
import { barAt, HEAD, heightOf, NAMES, paint, type Scene } from './paint.ts'
import type { Bar, Row } from './rows.ts'

const MAX_HEIGHT = 640
/** A pointer movement shorter than this is a click and not a drag. */
const CLICK_PIXELS = 4
const WHEEL_STEP = 60
/** The address names the chosen run only after this time, because browsers limit how often the address may change. */
const SETTLED_MS = 200

interface Props {
  readonly rows: readonly Row[]
  readonly from: number
  readonly to: number
  readonly now: number
  /** Called to move the range by a fraction of its length. */
  readonly onMove: (part: number) => void
  /** Called to zoom in (1) or out (-1). `around` is the fixed point, from 0 at the beginning of the range to 1 at its end. */
  readonly onZoom: (direction: 1 | -1, around: number) => void
}

/** A canvas as large as the visible part, with the bars of the visible rows. */
export function TimelineCanvas({ rows, from, to, now, onMove, onZoom }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const [chosenId, setChosenId] = useState(() => Number(query.peek().get('run') ?? 0))
  const bars = rows.flatMap(({ lanes }) => lanes.flat())
  const chosen = bars.find(({ run }) => run.id === chosenId)
  const setChosen = (bar: Bar | undefined): void => setChosenId(bar?.run.id ?? 0)
  useEffect(() => {
    const timer = setTimeout(() => setQuery({ run: chosenId === 0 ? undefined : `${chosenId}` }), SETTLED_MS)
    return () => clearTimeout(timer)
  }, [chosenId])
  const dragged = useRef<{ readonly x: number; moved: number } | undefined>(undefined)
  const wheeled = useRef(0)
  const zone = useZone()
  const chosenZone = useZoneOf(chosen?.run.jobId)
  const scene: Scene = { rows, from, to, now, chosen, zone }
  const shiftMs = (): number => {
    const width = (box.current?.clientWidth ?? 0) - NAMES
    return width <= 0 ? 0 : (-(dragged.current?.moved ?? 0) / width) * (to - from)
  }
  const draw = (): void => {
    if (!box.current || !canvas.current) return
    const shift = shiftMs()
    paint(canvas.current, box.current, { ...scene, from: from + shift, to: to + shift }, paletteOf(box.current))
  }
  const latest = useRef(draw)
  latest.current = draw
  const looks = `${theme.value} ${zoneChoice.value} ${zone}`
  useEffect(() => latest.current(), [rows, from, to, now, chosenId, looks])
  useEffect(() => {
    const redraw = (): void => latest.current()
    const sized = new ResizeObserver(redraw)
    if (box.current) sized.observe(box.current)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', redraw)
    return () => {
      sized.disconnect()
      dark.removeEventListener('change', redraw)
    }
  }, [])
  const place = (event: MouseEvent): { x: number; y: number; width: number } => {
    const { left, top } = box.current?.getBoundingClientRect() ?? { left: 0, top: 0 }
    const { clientWidth: width = 1, scrollTop = 0 } = box.current ?? {}
    return { x: event.clientX - left, y: event.clientY - top - HEAD + scrollTop, width }
  }
  const point = (event: PointerEvent): void => {
    const { x, y, width } = place(event)
    if (!dragged.current) return setChosen(barAt(scene, x, y, width))
    dragged.current.moved = event.clientX - dragged.current.x
    draw()
  }
  const drop = (): void => {
    const shift = shiftMs()
    const hasMoved = Math.abs(dragged.current?.moved ?? 0) >= CLICK_PIXELS
    dragged.current = undefined
    if (hasMoved) onMove(shift / (to - from))
    else if (chosen) go(`/runs/${chosen.run.id}`)
  }
  const zoom = (event: WheelEvent): void => {
    if (!event.ctrlKey && !event.metaKey) return
    event.preventDefault()
    wheeled.current += event.deltaY
    if (Math.abs(wheeled.current) < WHEEL_STEP) return
    const { x, width } = place(event)
    onZoom(wheeled.current < 0 ? 1 : -1, Math.max(0, Math.min(1, (x - NAMES) / (width - NAMES))))
    wheeled.current = 0
  }
  const press = (event: KeyboardEvent): void => {
    const at = chosen ? bars.findIndex(({ run }) => run.id === chosen.run.id) : -1
    const acts: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => onMove(-0.25),
      ArrowRight: () => onMove(0.25),
      '+': () => onZoom(1, 0.5),
      '-': () => onZoom(-1, 0.5),
      ArrowDown: () => setChosen(bars[Math.min(bars.length - 1, at + 1)]),
      ArrowUp: () => setChosen(bars[Math.max(0, at - 1)]),
      Enter: () => chosen && go(`/runs/${chosen.run.id}`),
    }
    const act = acts[event.key]
    if (!act) return
    event.preventDefault()
    act()
  }
  return (
    <>
      <div
        ref={box}
        class="grid-box"
        style={{ maxHeight: `${MAX_HEIGHT}px` }}
        tabIndex={0}
        role="application"
        aria-label="Timeline of runs. Left and right move in time, up and down read runs, plus and minus zoom, Enter opens a run."
        aria-describedby="timeline-run"
        onScroll={draw}
        onKeyDown={press}
        onWheel={zoom}
        onPointerDown={(event) => (dragged.current = { x: event.clientX, moved: 0 })}
        onPointerMove={point}
        onPointerUp={drop}
        onPointerLeave={() => {
          dragged.current = undefined
          draw()
        }}
      >
        <div class="grid-sizer" style={{ height: `${HEAD + rows.reduce((sum, row) => sum + heightOf(row), 0) + 8}px` }}>
          <canvas ref={canvas} aria-hidden="true" />
        </div>
      </div>
      <p id="timeline-run" class="note" role="status">
        {chosen ? describe(chosen, chosenZone) : 'Point at a run to read it. Drag to move, Ctrl and wheel to zoom.'}
      </p>
    </>
  )
}

/** Describes a bar in a sentence. */
export function describe({ run, asked, due, claimed, begun, end }: Bar, zone: string | undefined): string {
  const parts = [
    `Run ${run.id} of ${run.jobId}: ${run.state}`,
    `${run.tick === undefined ? 'requested' : 'tick'} ${instantText(new Date(asked), zone)}`,
    ...(due > asked ? [`due ${durationText(due - asked)} later`] : []),
    claimed === undefined
      ? `has waited for a node for ${durationText(Math.max(0, end - due))}`
      : `claimed ${claimed > due ? `${durationText(claimed - due)} after that` : 'immediately'}`,
    ...(claimed === undefined || begun === undefined || begun <= claimed
      ? []
      : [`began ${durationText(begun - claimed)} after that`]),
    ...(claimed === undefined
      ? []
      : [`${run.finishedAt === undefined ? 'running for' : 'took'} ${durationText(end - (begun ?? claimed))}`]),
    ...(run.nodeId === undefined ? [] : [`on node ${run.nodeId}`]),
  ]
  return parts.join(' · ')
}
