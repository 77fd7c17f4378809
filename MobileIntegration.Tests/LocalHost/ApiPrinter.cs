using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace MobileIntegration.Tests.LocalHost;

/// <summary>Prints public types and members one a line, with everything a caller's source depends on: names, defaults, constraints, nullability.</summary>
internal sealed class ApiPrinter
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void",
        [typeof(bool)] = "bool",
        [typeof(int)] = "int",
        [typeof(long)] = "long",
        [typeof(double)] = "double",
        [typeof(string)] = "string",
        [typeof(object)] = "object",
    };

    private readonly NullabilityInfoContext _nullability = new();

    /// <summary>The kind and name of a type, and its base types.</summary>
    public static (string Declaration, IReadOnlyList<string> Bases) Header(Type type)
    {
        var kind = type switch
        {
            { IsEnum: true } => "enum",
            { IsInterface: true } => "interface",
            { IsValueType: true } => "struct",
            { IsAbstract: true, IsSealed: true } => "static class",
            { IsAbstract: true } => "abstract class",
            { IsSealed: true } => "sealed class",
            _ => "class",
        };
        var interfaces = type.IsEnum ? [] : type.GetInterfaces();
        var bases = interfaces.Except(interfaces.SelectMany(implied => implied.GetInterfaces()));
        bases = type is { IsClass: true, BaseType: { } parent } && parent != typeof(object) ? bases.Except(parent.GetInterfaces()).Prepend(parent) : bases;
        return ($"{kind} {type.Namespace}.{Name(type)}", [.. bases.Select(Name)]);
    }

    public IEnumerable<string> Members(Type type)
    {
        if (type.IsEnum)
        {
            foreach (var name in Enum.GetNames(type))
            {
                yield return $"{name}={Convert.ToInt64(Enum.Parse(type, name), CultureInfo.InvariantCulture)}";
            }

            yield break;
        }

        foreach (var constructor in type.GetConstructors(Declared).Where(member => Visible(member) && Wanted(member)))
        {
            yield return $"{(constructor.IsFamily ? "protected " : "")}ctor({Parameters(constructor)})";
        }

        foreach (var property in type.GetProperties(Declared).Where(property => property.GetMethod is { } getter && Visible(getter) && Wanted(property)))
        {
            yield return Property(property);
        }

        foreach (var field in type.GetFields(Declared).Where(field => field.IsPublic))
        {
            yield return field.IsLiteral
                ? $"const {Name(field.FieldType)} {field.Name} = {field.GetRawConstantValue()}"
                : $"static {Annotated(_nullability.Create(field), field.FieldType)} {field.Name}";
        }

        foreach (var method in type.GetMethods(Declared).Where(method => Visible(method) && !method.IsSpecialName && Wanted(method)))
        {
            yield return Method(method);
        }
    }

    // Neither what a compiler made, nor explicit implementations, nor what nobody should use any more. A constructor's name begins with a dot.
    private static bool Wanted(MemberInfo member) =>
        member.Name.IndexOfAny(['<', '.'], 1) < 0 && member.Name[0] != '<' && !member.IsDefined(typeof(ObsoleteAttribute));

    private static bool Visible(MethodBase member) => member.IsPublic || member.IsFamily;

    private string Property(PropertyInfo property)
    {
        var getter = property.GetMethod!;
        var setter = property.SetMethod is { } set && Visible(set)
            ? set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ? " init;" : " set;"
            : "";
        var modifiers = (getter.IsStatic ? "static " : "") + (property.IsDefined(typeof(RequiredMemberAttribute)) ? "required " : "");
        return $"{modifiers}{Annotated(_nullability.Create(property), property.PropertyType)} {property.Name} {{ get;{setter} }}";
    }

    private string Method(MethodInfo method)
    {
        var priority = method.GetCustomAttribute<OverloadResolutionPriorityAttribute>() is { } found ? $"[Priority {found.Priority}] " : "";
        var extension = method.IsDefined(typeof(ExtensionAttribute));
        var virtuality = method.DeclaringType!.IsInterface || !method.IsVirtual || method.IsFinal ? "" : method.IsAbstract ? "abstract " : "virtual ";
        var modifiers = (method.IsFamily ? "protected " : "") + (method.IsStatic && !extension ? "static " : "") + virtuality;
        var arguments = method.GetGenericArguments();
        var generic = arguments.Length == 0 ? "" : $"<{string.Join(", ", arguments.Select(argument => argument.Name))}>";
        var returned = Annotated(_nullability.Create(method.ReturnParameter), method.ReturnType);
        return $"{priority}{modifiers}{returned} {method.Name}{generic}({(extension ? "this " : "")}{Parameters(method)}){string.Concat(arguments.Select(Constraints))}";
    }

    private static string Constraints(Type argument)
    {
        var attributes = argument.GenericParameterAttributes;
        List<string> constraints = [];
        if (attributes.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint))
        {
            constraints.Add("class");
        }

        constraints.AddRange(argument.GetGenericParameterConstraints().Select(Name));
        if (attributes.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint))
        {
            constraints.Add("new()");
        }

        return constraints.Count == 0 ? "" : $" where {argument.Name} : {string.Join(", ", constraints)}";
    }

    private string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(Parameter));

    private string Parameter(ParameterInfo parameter)
    {
        var type = parameter.ParameterType.IsByRef ? parameter.ParameterType.GetElementType()! : parameter.ParameterType;
        var prefix = parameter.IsOut ? "out " : parameter.ParameterType.IsByRef ? "ref " : parameter.IsDefined(typeof(ParamArrayAttribute)) ? "params " : "";
        var annotated = parameter.ParameterType.IsByRef ? Name(type) : Annotated(_nullability.Create(parameter), type);
        return $"{prefix}{annotated} {parameter.Name}{(parameter.HasDefaultValue ? $" = {Default(parameter.DefaultValue, type)}" : "")}";
    }

    private static string Default(object? value, Type type) => value switch
    {
        null when type.IsValueType && Nullable.GetUnderlyingType(type) is null => "default",
        null => "null",
        bool flag => flag ? "true" : "false",
        string text => $"\"{text}\"",
        _ when type.IsEnum => $"{type.Name}.{Enum.ToObject(type, value)}",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string Annotated(NullabilityInfo nullability, Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return $"{Name(underlying)}?";
        }

        var mark = nullability.ReadState == NullabilityState.Nullable && !type.IsValueType && !type.IsGenericParameter ? "?" : "";
        if (type.IsArray)
        {
            return $"{Annotated(nullability.ElementType!, type.GetElementType()!)}[]{mark}";
        }

        if (!type.IsGenericType)
        {
            return Name(type) + mark;
        }

        var arguments = type.GetGenericArguments().Zip(nullability.GenericTypeArguments, (argument, info) => Annotated(info, argument));
        return $"{type.Name[..type.Name.IndexOf('`')]}<{string.Join(", ", arguments)}>{mark}";
    }

    private static string Name(Type type)
    {
        if (Keywords.TryGetValue(type, out var keyword))
        {
            return keyword;
        }

        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return $"{Name(underlying)}?";
        }

        if (type.IsArray)
        {
            return $"{Name(type.GetElementType()!)}[]";
        }

        var name = type.IsNested && !type.IsGenericParameter ? $"{Name(type.DeclaringType!)}.{type.Name}" : type.Name;
        return type.IsGenericType && name.Contains('`')
            ? $"{name[..name.IndexOf('`')]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
            : name;
    }
}
