// Walks through the bars and marks of a timeline: by the arrow keys, by touch or by pointing. What each says
// stands below the picture, where it can be read, copied and heard. Without this, titles say the same.
"use strict";

(() => {
  let chosen = null; // where the walk is: the lane's number, the number in it, what it says

  const lanesOf = (box) => {
    const shown = [...box.querySelectorAll("svg.tl")].find((each) => each.getBoundingClientRect().height > 0);
    const lanes = [...(shown?.querySelectorAll("[data-lane]") ?? [])];
    return lanes.map((lane) => ({ label: lane.querySelector("title")?.textContent ?? "", marks: inOrder(lane) }));
  };

  const inOrder = (lane) => {
    const left = (mark) => mark.querySelector(".b, svg").getBoundingClientRect().left;
    return [...lane.querySelectorAll("[data-mark]")].map((mark) => [left(mark), mark]).sort((one, other) => one[0] - other[0]).map(([, mark]) => mark);
  };

  const textOf = (lane, mark) => `${lane.label}: ${mark.querySelector("title").textContent}`;

  const choose = (box, at, number) => {
    const lane = lanesOf(box)[at];
    const mark = lane?.marks[number];
    for (const old of box.querySelectorAll(".current")) old.classList.remove("current");
    if (!mark) return;
    mark.classList.add("current");
    const text = textOf(lane, mark);
    chosen = { id: box.closest("[data-timeline]").id, at, number };
    const said = box.parentElement.querySelector("[data-tl-said]");
    if (said.textContent !== text) said.textContent = text;
  };

  const nearest = (lanes, from, to) => {
    const place = (mark) => mark.querySelector(".b, svg").getBoundingClientRect().left;
    const left = place(lanes[from.at].marks[from.number]);
    const distances = lanes[to].marks.map((mark) => Math.abs(place(mark) - left));
    return distances.indexOf(Math.min(...distances));
  };

  const walk = (box, key) => {
    const lanes = lanesOf(box);
    const filled = lanes.map((lane, at) => (lane.marks.length ? at : -1)).filter((at) => at >= 0);
    if (!filled.length) return;
    const isHere = chosen && lanes[chosen.at]?.marks[chosen.number];
    if (!isHere) return choose(box, filled[0], 0);
    const last = lanes[chosen.at].marks.length - 1;
    const steps = { ArrowLeft: chosen.number - 1, ArrowRight: chosen.number + 1, Home: 0, End: last };
    if (key in steps) return choose(box, chosen.at, Math.min(last, Math.max(0, steps[key])));
    const next = filled[filled.indexOf(chosen.at) + (key === "ArrowDown" ? 1 : -1)];
    if (next !== undefined) choose(box, next, nearest(lanes, chosen, next));
  };

  const KEYS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);
  addEventListener("keydown", (event) => {
    const box = event.target.closest?.("[data-tl-box]");
    if (!box || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (KEYS.has(event.key)) {
      event.preventDefault();
      walk(box, event.key);
    } else if (event.key === "Escape" && chosen) {
      clear(box);
    }
  });

  const clear = (box) => {
    chosen = null;
    choose(box, -1, -1);
    box.parentElement.querySelector("[data-tl-said]").textContent = "";
  };

  addEventListener("click", (event) => {
    const mark = event.target.closest?.("[data-tl-box] [data-mark]");
    if (!mark) return;
    const box = mark.closest("[data-tl-box]");
    lanesOf(box).forEach((lane, at) => {
      if (lane.marks.includes(mark)) choose(box, at, lane.marks.indexOf(mark));
    });
  });

  // The picture was drawn again: the same place is chosen in it.
  document.addEventListener("trtc:changed", () => {
    const box = document.querySelector("[data-tl-box]");
    if (box && chosen) choose(box, chosen.at, chosen.number);
  });
})();
