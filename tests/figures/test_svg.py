def test_no_drawing_prints_itself_as_a_whole() -> None:
    drawn = draw_bars([1.0, 2.0], title="two")
    assert repr(drawn).startswith("BarsFigure('two', 480 × ")
