/**
 * Prepares a canvas for the visible part of a scrolled box: adapts it to the box and the screen, and clears it.
 *
 * @returns undefined if the browser can't draw
 */
export function canvasFor(canvas: HTMLCanvasElement, box: HTMLElement): CanvasRenderingContext2D | undefined {
  const { clientWidth: width, clientHeight: height } = box
  const scale = devicePixelRatio
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)]
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide
    canvas.height = high
    canvas.style.width = `${width}px`
    canvas.style.height = `${height}px`
  }
  const to = canvas.getContext('2d')
  if (!to) return undefined
  to.setTransform(scale, 0, 0, scale, 0, 0)
  to.clearRect(0, 0, width, height)
  to.font = '12px system-ui, sans-serif'
  to.textBaseline = 'middle'
  return to
}
