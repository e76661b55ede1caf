// What sticks out of a page (unless it is scrolled) or of its chart, lies on another text, or is hard to read.
(() => {
  const shown = (box) => box.width > 0 && box.height > 0;
  const inside = (element) => element.closest('.scroll') !== null;
  const name = (element) => `${element.tagName.toLowerCase()} ${element.textContent.trim().slice(0, 40)}`;
  const found = {wide: [], clipped: [], met: [], pale: []};
  found.width = document.documentElement.scrollWidth;
  found.room = innerWidth;
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => parts(colour).slice(0, 3)
    .map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return element.parentElement && parts(colour)[3] === 0 ? ground(element.parentElement) : colour;
  };
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (shown(box) && !inside(element) && (box.right > innerWidth + 1 || box.left < -1)) found.wide.push(name(element));
    const written = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!shown(box) || !written || element.closest('svg')) continue;
    const colours = [getComputedStyle(element).color, ground(element)];
    const [less, more] = colours.map(light).sort((one, other) => one - other);
    const contrast = (more + 0.05) / (less + 0.05);
    if (contrast < 3.5) found.pale.push(`${name(element)}: ${contrast.toFixed(1)}`);
  }
  for (const chart of document.querySelectorAll('svg')) {
    const frame = chart.getBoundingClientRect(), texts = [...chart.querySelectorAll('text')];
    const boxes = texts.map((text) => text.getBoundingClientRect()).map((box) => ({
      left: box.left, right: box.right, top: box.top + box.height / 5, bottom: box.bottom - box.height / 5}));
    boxes.forEach((box, at) => {
      const across = Math.max(frame.left - box.left, box.right - frame.right);
      const out = Math.max(across, frame.top - box.top, box.bottom - frame.bottom);
      if (out > 3) found.clipped.push(`${name(texts[at])}: ${Math.round(out)} px`);
      for (let other = 0; other < at; other++) {
        const across = Math.min(box.right, boxes[other].right) - Math.max(box.left, boxes[other].left);
        const down = Math.min(box.bottom, boxes[other].bottom) - Math.max(box.top, boxes[other].top);
        if (across > 2 && down > 2) found.met.push(`${name(texts[at])} | ${name(texts[other])}`);
      }
    });
  }
  return found;
})()
