namespace MobileIntegration.Tests.LocalHost;

public sealed class ReferenceExpressionTests : IDisposable
{
    private readonly TestModel _model = new();

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Braces_of_the_text_stay_braces()
    {
        var name = _model.Builder.AddParameter("name", "x");
        var expression = ReferenceExpression.Create($"{{\"a\": \"{name}\", {"{b}"}}}");
        Assert.Equal("{\"a\": \"x\", {b}}", await expression.GetValueAsync(default));
    }

    [Fact]
    public async Task The_format_uri_percent_encodes_values_and_text()
    {
        var name = _model.Builder.AddParameter("name", "a b/c");
        Assert.Equal("a%20b%2Fc-d%20e", await ReferenceExpression.Create($"{name:uri}-{"d e":uri}").GetValueAsync(default));
    }

    [Fact]
    public async Task Another_format_is_refused()
    {
        var name = _model.Builder.AddParameter("name", "x");
        await Assert.ThrowsAsync<FormatException>(async () => await ReferenceExpression.Create($"{name:upper}").GetValueAsync(default));
    }

    [Fact]
    public async Task The_empty_expression_has_no_value() => Assert.Null(await ReferenceExpression.Empty.GetValueAsync(default));

    [Fact]
    public async Task An_expression_may_stand_in_another()
    {
        var name = _model.Builder.AddParameter("name", "x");
        var inner = ReferenceExpression.Create($"<{name}>");
        Assert.Equal("(<x>)", await ReferenceExpression.Create($"({inner})").GetValueAsync(default));
    }

    [Theory]
    [InlineData("TRUE", "yes")]
    [InlineData("false", "no")]
    public async Task A_conditional_expression_follows_its_value(string value, string expected)
    {
        var flag = _model.Builder.AddParameter("flag", value);
        var expression = ReferenceExpression.CreateConditional(flag.Resource, "true", ReferenceExpression.Create($"yes"), ReferenceExpression.Create($"no"));
        Assert.True(expression.IsConditional);
        Assert.Equal(expected, await expression.GetValueAsync(default));
    }

    [Fact]
    public void The_value_expression_names_the_holes()
    {
        var server = _model.Builder.AddPostgres("pg");
        Assert.Equal("{pg.bindings.tcp.host}:{pg.bindings.tcp.port}", ReferenceExpression.Create($"{server.Resource.Host}:{server.Resource.Port}").ValueExpression);
        Assert.Equal("{pg.connectionString};X=1", ReferenceExpression.Create($"{server};X=1").ValueExpression);
    }

    [Fact]
    public void A_builder_takes_only_what_has_a_value()
    {
        var builder = new ReferenceExpressionBuilder();
        Assert.Throws<ArgumentException>(() => builder.AppendValueProvider(new object()));
        Assert.True(builder.IsEmpty);
    }
}
