import { useEffect, useRef } from 'preact/hooks'
import { WINDOW_STATES } from '../shared/window-states.ts'

export const CELL = 14
const INSET = 1

export type Palette = Readonly<Record<string, string>>

/** Reads the colours of the page's theme for a canvas. */
export function paletteOf(element: Element): Palette {
  const probe = document.createElement('span')
  element.append(probe)
  const colour = (name: string): string => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const names = [
    'text',
    'quiet',
    'line',
    'card',
    'accent',
    'hover',
    'succeeded',
    'failed',
    'running',
    'queued',
    'stale',
    'cancelled',
    'skipped',
  ]
  const palette = Object.fromEntries(names.map((name) => [name, colour(name)]))
  probe.remove()
  return { ...palette, pending: palette['queued'] ?? '', waiting: palette['queued'] ?? '' }
}

/** Draws one cell. Each state has its own shape, so that people can recognise it without the colour. */
export function drawCell(
  to: CanvasRenderingContext2D,
  state: string | undefined,
  x: number,
  y: number,
  palette: Palette,
): void {
  const size = CELL - 2 * INSET
  const [left, top] = [x + INSET, y + INSET]
  if (state === undefined) {
    to.fillStyle = palette['line'] ?? ''
    to.fillRect(x + CELL / 2 - 1, y + CELL / 2 - 1, 2, 2)
    return
  }
  const colour = palette[state] ?? palette['quiet'] ?? ''
  to.fillStyle = colour
  to.strokeStyle = colour
  to.lineWidth = 1.5
  if (state === 'succeeded' || state === 'failed' || state === 'running') to.fillRect(left, top, size, size)
  else to.strokeRect(left + 0.75, top + 0.75, size - 1.5, size - 1.5)
  if (state === 'failed' || state === 'running') to.strokeStyle = to.fillStyle = palette['card'] ?? ''
  sign(to, state, left, top, size)
}

function sign(to: CanvasRenderingContext2D, state: string, left: number, top: number, size: number): void {
  const line = (...points: readonly (readonly [number, number])[]): void => {
    to.beginPath()
    for (const [index, [x, y]] of points.entries())
      to[index === 0 ? 'moveTo' : 'lineTo'](left + x * size, top + y * size)
    to.stroke()
  }
  switch (state) {
    case 'failed':
      line([0.22, 0.22], [0.78, 0.78])
      return line([0.78, 0.22], [0.22, 0.78])
    case 'running':
      return line([0.35, 0.2], [0.75, 0.5], [0.35, 0.8], [0.35, 0.2])
    case 'stale':
      line([0, 0.6], [0.6, 0])
      return line([0.4, 1], [1, 0.4])
    case 'waiting':
    case 'queued':
      return to.fillRect(left + size / 2 - 2, top + size / 2 - 2, 4, 4)
    case 'skipped':
      return line([0.2, 0.5], [0.8, 0.5])
    case 'cancelled':
      return line([0.2, 0.8], [0.8, 0.2])
    default:
  }
}

/** Explains the shapes of the states. */
export function Legend() {
  return (
    <ul class="legend" aria-label="Legend">
      {WINDOW_STATES.filter((state) => state !== 'queued').map((state) => (
        <li key={state}>
          <Sample state={state} /> {state}
        </li>
      ))}
    </ul>
  )
}

function Sample({ state }: { readonly state: string }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    const to = canvas.current?.getContext('2d')
    if (!to || !canvas.current?.parentElement) return
    to.clearRect(0, 0, CELL, CELL)
    drawCell(to, state, 0, 0, paletteOf(canvas.current.parentElement))
  })
  return <canvas ref={canvas} width={CELL} height={CELL} aria-hidden="true" />
}
