using System.Reflection;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class ScopesTests
{
    /// <summary>Identity gives out those that are described, and no others.</summary>
    [Fact]
    public void Every_scope_can_be_given_out_as_each_says_what_it_allows() =>
        Assert.Equal(
            typeof(Scopes).GetFields(BindingFlags.Public | BindingFlags.Static).Where(field => field.IsLiteral).Select(field => (string)field.GetRawConstantValue()!).Order(),
            Scopes.Descriptions.Keys.Order());
}
